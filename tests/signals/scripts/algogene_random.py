import requests, random, json
from datetime import datetime, timedelta
from time import sleep, time

base_url = "http://127.0.0.1:50080/algogene/rest/v1"

api_key = "YOUR_API_KEY"
user = "YOUR_USER_ID"
runmode = "livetest"
accountid = "YOUR_ACCOUNT_ID"

def open_order(instrument, buysell, volume, orderRef=""):
    url = base_url+"/open_order"
    data = {
        "api_key": api_key,
        "user": user,
        "runmode": runmode,
        "accountid": accountid,
        "instrument": instrument, 
        "buysell": buysell, 
        "volume": volume,
        "orderRef": orderRef,
        "ordertype": "MKT",
        "token": token
    }
    r = requests.post(url, data=json.dumps(data))
    return r.json()

def close_order(tradeID):
    url = base_url+"/close_orders"
    data = {
        "api_key": api_key,
        "user": user,
        "runmode": runmode,
        "accountid": accountid,
        "tradeIDs": tradeID,
        "token": token
    }
    r = requests.post(url, data=json.dumps(data))
    return r.json()

def query_order(tradeID):
    url = base_url+"/opened_trades"
    data = {
        "api_key": api_key,
        "user": user,
        "runmode": runmode,
        "accountid": accountid,
        "tradeID": tradeID,
        "token": token
    }
    r = requests.get(url, params=data)
    return r.json()

def get_session_token():
    url = base_url+"/session"
    data = {
        "api_key": api_key,
        "user": user
    }
    r = requests.get(url, params=data)
    return r.json()



token, token_expiry = "", ""
tradeID = ""
dt = datetime.utcnow()-timedelta(minutes=60)
while True:
    if datetime.utcnow()>=dt+timedelta(seconds=60):
        dt = datetime.utcnow()
        # renew session token
        if str(dt)>token_expiry:
            res = get_session_token()
            token = res['res']['token']
            token_expiry = res['res']['expired_utc']
            
        # close previous orders
        if tradeID!="":
            res = query_order(tradeID)
            print('query_order ... ', res)

            res = close_order(tradeID)
            print('close_order ... ', res)

        # generate indicator and open order
        buysell = random.choice(["BUY","SELL",""])
        if buysell!="":
            res = open_order(instrument="BTCUSD", buysell=buysell, volume=1)
            tradeID = res['tradeID']
            print('open_order ... ', res)

    sleep(1)
